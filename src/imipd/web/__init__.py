"""The door of `web`: what a machine may ask over HTTP. Is it alive, is it ready, what has it done.

Nothing here names a person or an event: whoever reaches the port may read it all.
"""

from collections.abc import Callable

Ready = Callable[[], str]
"""What keeps imipd from taking mail; empty where nothing does."""
