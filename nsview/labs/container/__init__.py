"""The lab of a whole container: made stage by stage, each verified, and then tried from inside."""
