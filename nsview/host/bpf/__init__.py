"""The BPF task iterator: the kernel itself fills the records of a snapshot, some forty times faster than /proc can.

``tasks.bpf.c`` is its source, ``tasks.bpf.o`` what ``build`` makes of it, ``iterator`` loads and reads it,
``obstacles`` says where it may not be used.
"""
