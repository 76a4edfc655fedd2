"""From notebooks to a report: run them in order, render them, publish the whole."""
