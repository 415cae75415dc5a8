"""Figures of materials and datasets, for papers, reports and notebooks."""
