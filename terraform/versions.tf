terraform {
  # Write-only arguments keep secrets out of the state; they came with 1.11.
  required_version = ">= 1.11, < 2"

  required_providers {
    google = {
      source = "hashicorp/google"
      # Tried with the first and the last of these (tests/terraform/schemas/).
      version = ">= 7.46, < 9"
    }
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.7, < 3"
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.7, < 4"
    }
    tls = {
      source  = "hashicorp/tls"
      version = ">= 4.1, < 5"
    }
  }
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = merge({ application = var.name }, var.labels)
}

# Budgets belong to a billing account: their API wants to be told which project's quota a call counts against.
provider "google" {
  alias                 = "billing"
  project               = var.project_id
  billing_project       = var.project_id
  user_project_override = true
}
