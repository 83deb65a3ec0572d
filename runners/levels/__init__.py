"""What commands about levels of the platformer share: where sets go, and how they are judged and shown."""
