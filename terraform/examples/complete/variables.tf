variable "identity" {
  type = object({
    audience = string
    issuer   = string
    jwks_url = string
  })
  description = "Your identity provider. Null means that the stage is open."
  default     = null
}

variable "kms_key_arn" {
  type        = string
  description = "KMS key for tables, queues, logs and environments. Its policy must allow CloudWatch Logs. Null means AWS's own."
  default     = null
}

variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-complete"
  nullable    = false
}

variable "vpc" {
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
  })
  description = "Subnets and security groups of the functions. Null means no VPC."
  default     = null
}
