"""Science: one package (room) per subject, typed functions without Prefect."""
