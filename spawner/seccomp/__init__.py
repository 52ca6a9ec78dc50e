"""Filters of system calls: profiles in the OCI format, our default one, and their compilation by libseccomp."""
