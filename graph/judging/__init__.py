"""What code itself can say for or against an answer."""
