"""The process table: every process, its tree and its namespaces."""
