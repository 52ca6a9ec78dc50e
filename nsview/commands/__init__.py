"""The subcommands of ``nsview``, a module each."""
