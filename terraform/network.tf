# Functions reach a private database from addresses of their own in this network; everything else they call leaves as
# if there were none.

locals {
  makes_network = var.private_database && var.network == null

  # A set of one or none, for the blocks that name it.
  attachments = var.private_database ? {
    this = {
      network    = local.makes_network ? google_compute_network.this[0].id : var.network.network
      subnetwork = local.makes_network ? google_compute_subnetwork.this[0].id : var.network.subnetwork
    }
  } : {}
}

resource "google_compute_network" "this" {
  count = local.makes_network ? 1 : 0

  name                    = var.name
  auto_create_subnetworks = false

  depends_on = [google_project_service.api]
}

resource "google_compute_subnetwork" "this" {
  count = local.makes_network ? 1 : 0

  name                     = var.name
  network                  = google_compute_network.this[0].id
  region                   = var.region
  ip_cidr_range            = var.subnetwork_range
  private_ip_google_access = true
}

resource "google_compute_global_address" "services" {
  count = local.makes_network ? 1 : 0

  name          = "${var.name}-services"
  network       = google_compute_network.this[0].id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "services" {
  count = local.makes_network ? 1 : 0

  network                 = google_compute_network.this[0].id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services[0].name]
  # Google keeps a database's side of it for days after the database is gone, and refuses to take it away. It goes with
  # the network.
  deletion_policy = "ABANDON"
}
