"""meze: small worlds to learn in, and every classic way of learning to set on them."""

__version__ = "0.1.0"
