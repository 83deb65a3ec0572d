"""stable-baselines3's algorithms as agents, and what their users take into scripts of their own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
