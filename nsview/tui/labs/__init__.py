"""The labs: experiments on fork and clone, run and looked at step by step."""
