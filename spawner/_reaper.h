/* The machine code of the reaper, for Python to make a file of. */
#ifndef SPAWNER_REAPER_H
#define SPAWNER_REAPER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define reaper_doc                                                                                                     \
    "reaper() -> (code, entry)\n\n"                                                                                    \
    "Position-independent machine code of the reaper and the offset at which it begins."

PyObject *reaper_code(PyObject *self, PyObject *args);

#endif
