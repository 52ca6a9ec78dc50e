"""What is inside a namespace: read by a thread that enters it, or from the files of a process that is there."""
