"""The lab of the eight namespaces: what each hides and what still leaks; one clone3 beside fork and unshare."""
