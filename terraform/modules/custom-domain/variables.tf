variable "api_id" {
  type        = string
  description = "Id of the WebSocket API."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+$", var.api_id))
    error_message = "api_id must be the id of an API, like \"a1b2c3d4e5\"."
  }
}

variable "certificate_arn" {
  type        = string
  description = "ARN of the domain's certificate in AWS Certificate Manager, issued and in the Region of the API."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in AWS Certificate Manager, like \"arn:aws:acm:eu-central-1:111122223333:certificate/1234abcd-12ab-34cd-56ef-1234567890ab\"."
  }
}

variable "dns_record" {
  type        = object({ zone_id = string })
  description = "The hosted zone in Route 53 that gets the domain's alias record, and one for IPv6 with `dualstack`. Null means that the record is made elsewhere."
  default     = null

  validation {
    condition     = var.dns_record == null || can(regex("^Z[A-Z0-9]{1,31}$", var.dns_record.zone_id))
    error_message = "dns_record must be null or have a zone_id that is the id of a hosted zone, like \"Z0123456789ABCDEFGHIJ\"."
  }
}

variable "domain_name" {
  type        = string
  description = "Name of the domain, such as `ws.example.com`. A domain of WebSocket APIs serves no REST or HTTP API."
  nullable    = false

  validation {
    condition     = length(var.domain_name) <= 253 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z0-9-]{2,63}$", var.domain_name))
    error_message = "domain_name must be a domain in lower case, like \"ws.example.com\", without a wildcard, because clients and functions connect to exactly this name."
  }
}

variable "ip_address_type" {
  type        = string
  description = "Addresses of the domain: `ipv4`, or `dualstack` for IPv4 and IPv6."
  default     = "ipv4"
  nullable    = false

  validation {
    condition     = contains(["ipv4", "dualstack"], var.ip_address_type)
    error_message = "ip_address_type must be \"ipv4\" or \"dualstack\"."
  }
}

variable "mapping_key" {
  type        = string
  description = "Path of the API below the domain. Null means that the domain serves this API alone, without a path."
  default     = null

  # What `management_endpoint` of the backend takes as a part of a path.
  validation {
    condition     = var.mapping_key == null || can(regex("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$", var.mapping_key))
    error_message = "mapping_key must be null or 1 to 128 letters, digits, dots, underscores or hyphens, and start with no dot."
  }
}

variable "stage_name" {
  type        = string
  description = "Name of the API's stage that the domain serves."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,128}$", var.stage_name))
    error_message = "stage_name must be 1 to 128 letters, digits, hyphens or underscores; a WebSocket API has no \"$default\" stage."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the domain."
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must be at most 50 tags whose keys do not start with \"aws:\", which AWS reserves."
  }

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) <= 128 && try(length(value) <= 256, false) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]+$", key)) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", value))])
    error_message = "tags must have keys of 1 to 128 characters and values of at most 256, all of them letters, digits, spaces or one of _ . : / = + - @, and none null."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "tags must not have keys that differ only in upper and lower case, which IAM takes for the same."
  }
}
