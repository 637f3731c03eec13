# `terraform test` in this folder: no project, no credentials, nothing is made. The real providers are
# downloaded, Google's for its schema alone. What is asked here is what a change breaks most easily; tests/terraform/ asks the rest.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_data "google_cloud_run_v2_service" {
    defaults = {
      template = [{ containers = [{ image = "europe-west1-docker.pkg.dev/example-registry/slipway-functions/api" }] }]
    }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "someone@example-registry.iam.gserviceaccount.com"
      name   = "projects/example-registry/serviceAccounts/someone@example-registry.iam.gserviceaccount.com"
      member = "serviceAccount:someone@example-registry.iam.gserviceaccount.com"
    }
  }
}

mock_provider "google" {
  alias = "billing"
}

# The others work on this machine alone, and ephemeral resources can't be mocked.

variables {
  project_id = "example-registry"
  region     = "europe-west1"
}

run "plans_with_what_must_be_given" {
  command = plan

  assert {
    condition     = output.registry_host == "slipway-123456789012.europe-west1.run.app"
    error_message = "The registry's host is known before anything is made."
  }
  assert {
    condition     = google_storage_bucket.blobs.public_access_prevention == "enforced"
    error_message = "Blobs are never public."
  }
  assert {
    condition     = google_sql_database_instance.this[0].settings[0].ip_configuration[0].ipv4_enabled == false
    error_message = "The database has no public address unless that is asked for."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.anyone_calls_api) == 0
    error_message = "Nobody calls the function that the registry's image is built from."
  }
}

run "without_the_front_the_function_is_public" {
  command = plan

  variables {
    http2 = false
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.anyone_calls_api[0].member == "allUsers"
    error_message = "Docker sends no identity of Google's."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.registry) == 0
    error_message = "There is one registry."
  }
}

run "every_profile_fits_its_database" {
  command = plan

  variables {
    size  = "large"
    quota = { vcpus = 80, memory_gib = 64 }
  }

  assert {
    condition     = output.connections.wanted <= output.connections.budget
    error_message = "The instances may open more connections than the database has."
  }
}

run "too_many_instances_are_refused" {
  command = plan

  variables {
    sizing = { registry_max_instances = 40 }
    quota  = { vcpus = 80 }
  }

  expect_failures = [google_sql_database.this]
}

run "more_than_a_new_project_has_is_refused" {
  command = plan

  variables {
    size = "large"
  }

  expect_failures = [google_cloudfunctions2_function.api]
}

run "open_has_to_be_meant" {
  command = plan

  variables {
    access = "open"
  }

  expect_failures = [var.accept_open]
}

run "more_connections_than_the_database_has_memory_for_are_refused" {
  command = plan

  variables {
    sizing = { database_tier = "db-f1-micro" }
  }

  expect_failures = [google_sql_database.this]
}
