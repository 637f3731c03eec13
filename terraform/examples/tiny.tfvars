# A few people: about the price of the smallest database. docs/deploy.md has the arithmetic.
project_id = "example-registry"
region     = "europe-west1"
size       = "tiny"

deployers    = ["user:anna@example.com"]
alert_emails = ["anna@example.com"]
