# How clients reach the registry.

variable "http2" {
  description = "Serve through the HTTP/2 front, without which a request is limited to 32 MiB. False makes the function itself the registry."
  type        = bool
  default     = true
  nullable    = false
}

variable "nginx_image" {
  description = "The front's nginx on Docker Hub, 1.25.1 or newer, by digest or by tag; it is fetched through a repository of this project."
  type        = string
  default     = "library/nginx@sha256:97d490c12ba55b4946b01546d1c3ed324e8d41ab1c9fcb2a616aa470620e5b46" # 1.30-alpine
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9_./-]+(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$", var.nginx_image))
    error_message = "An image of Docker Hub with a tag or a digest, like library/nginx:1.30-alpine."
  }
  validation {
    condition     = !can(regex(":1\\.([01]?[0-9]|2[0-4])([.-]|$)", var.nginx_image))
    error_message = "nginx before 1.25.1 can't take HTTP/1.1 probes and HTTP/2 on one port."
  }
}

variable "domain" {
  description = "A domain of your own, such as registry.example.com: makes a load balancer and a certificate. Null uses the service's own address."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A domain name in lower case."
  }
}

variable "requests_per_minute_and_address" {
  description = "How many requests Cloud Armor lets one address make in a minute, with a domain. A refused docker push fails at once: be generous."
  type        = number
  default     = 6000
  nullable    = false

  validation {
    condition     = var.requests_per_minute_and_address >= 60 && var.requests_per_minute_and_address <= 1000000
    error_message = "From 60 to 1000000."
  }
}

variable "trusted_proxies" {
  description = "How many entries at the end of X-Forwarded-For our own proxies wrote; null for what the front and the load balancer write."
  type        = number
  default     = null

  validation {
    condition     = var.trusted_proxies == null ? true : var.trusted_proxies >= 0 && var.trusted_proxies <= 10
    error_message = "From 0 to 10."
  }
}

variable "python_runtime" {
  description = "The functions' runtime."
  type        = string
  default     = "python313"
  nullable    = false

  validation {
    condition     = contains(["python311", "python312", "python313", "python314"], var.python_runtime)
    error_message = "One of python311 to python314."
  }
}
