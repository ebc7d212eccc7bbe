"""Pictures and the page of a study, of a report, of attention."""
