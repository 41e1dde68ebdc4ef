"""The commands, one file a noun: parse, call, print, set the exit code."""
