#ifndef SPAWNER_POSIX_SPAWN_H
#define SPAWNER_POSIX_SPAWN_H

#include <Python.h>

extern const char posix_spawn_doc[];
PyObject *native_posix_spawn(PyObject *self, PyObject *args);

#endif
