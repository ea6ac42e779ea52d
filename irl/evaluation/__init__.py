"""How far the numbers can be believed."""
