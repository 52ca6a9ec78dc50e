"""What makes it pleasant: palette, help, settings, copying."""
