"""The kiosk: where to put K kiosks in a city of hungry people."""
