"""What a board is given before its first deployment: each wish with its question, its change, and its reading back."""
