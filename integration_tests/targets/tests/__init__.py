"""What the targets do at their seams, without a target under test."""
