"""`meze/Platformer-v0`: running and jumping through levels to the flag."""
