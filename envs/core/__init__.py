"""What every world shares: protocol, batch binding, random streams, environments, conformance checks.

The public names stand in `__init__.pyi`. They are loaded when first used, so that `import meze` stays
light.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
