"""Which way to make a child, for what is wanted of it: the call, its flags, why, and what that costs here."""
