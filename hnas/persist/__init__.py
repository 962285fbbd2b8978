"""What is written down: whole files, records and their inverse, differences in words."""
