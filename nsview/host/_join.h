/* Joining a packed snapshot with the one before it, for the module _scan. */
#ifndef NSVIEW_JOIN_H
#define NSVIEW_JOIN_H

#include <Python.h>

PyObject *join_snapshots(PyObject *module, PyObject *arguments);

#endif
