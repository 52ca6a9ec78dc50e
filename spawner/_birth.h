#ifndef SPAWNER_BIRTH_H
#define SPAWNER_BIRTH_H

#include <Python.h>

extern const char spawn_doc[];
PyObject *native_spawn(PyObject *self, PyObject *args);

extern const char fork_doc[];
PyObject *native_fork(PyObject *self, PyObject *args);

#endif
