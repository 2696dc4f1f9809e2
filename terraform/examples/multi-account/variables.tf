variable "america_profile" {
  type        = string
  description = "Profile of the AWS CLI with the account of the American backend."
  nullable    = false
}

variable "europe_profile" {
  type        = string
  description = "Profile of the AWS CLI with the account of the European backend."
  nullable    = false
}

variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-accounts"
  nullable    = false
}
