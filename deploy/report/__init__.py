"""How results are shown: on a console, as JSON. What they mean was decided before they get here."""
