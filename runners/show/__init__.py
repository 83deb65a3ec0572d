"""What is shown: windows, pictures, films."""
