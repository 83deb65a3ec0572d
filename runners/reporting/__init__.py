"""What is told: measures, statistics, tables, pages."""
