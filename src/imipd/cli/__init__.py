"""The commands: the only room that knows all rooms, and nobody enters it."""
