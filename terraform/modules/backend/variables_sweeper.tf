# Variables for the sweeper, and for the share of the account's requests that it takes.

variable "account_requests_per_second" {
  type        = number
  description = "Requests per second that API Gateway serves for the whole account in this Region: 10,000, or 2,500 in some Regions, unless AWS has raised it. The sweeper takes a share of it, and the dashboard draws it as a line."
  default     = 2500
  nullable    = false

  validation {
    condition     = var.account_requests_per_second >= 1 && var.account_requests_per_second <= 1000000
    error_message = "account_requests_per_second must be 1 to 1000000 requests per second."
  }
}

variable "sweeper" {
  type = object({
    enabled = optional(bool, false)
    sweep   = optional(bool, true)
    share   = optional(number, 0.05)
  })
  description = "Whether a function counts the connections every 5 minutes; whether it also deletes items of connections that do not exist; and the share of `account_requests_per_second` that it asks API Gateway with at most. Sweep for presence, for `who` and for numbers of rooms in which no client sends: other stages do not need it."
  default     = {}
  nullable    = false

  validation {
    condition     = var.sweeper.share >= 0.001 && var.sweeper.share <= 0.5
    error_message = "sweeper must have a share from 0.001 to 0.5, because clients need the other requests."
  }
}
