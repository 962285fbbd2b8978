"""What a person sees and types: tables, progress, options, questions, interrupts."""
