"""The screen: tables, progress, options, questions, interrupts."""
