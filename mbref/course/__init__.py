"""What a teacher makes from the notebooks of a clone."""
