"""Mail, CRM and payments into tables you own, with an account of every run."""
