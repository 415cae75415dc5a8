"""Science: one stage of the screening per module, pure and typed."""
