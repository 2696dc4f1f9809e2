variable "certificate_arn" {
  type        = string
  description = "Certificate of the domain in AWS Certificate Manager, issued and in the Region of the API."
  nullable    = false
}

variable "domain_name" {
  type        = string
  description = "The domain, such as `ws.example.com`."
  nullable    = false
}

variable "name" {
  type        = string
  description = "Begins the names of everything the example creates."
  default     = "roomcast-domain"
  nullable    = false
}

variable "zone_id" {
  type        = string
  description = "Hosted zone in Route 53 that gets the domain's record. Null means that you make it elsewhere, from the outputs. It must be known at plan."
  default     = null
}
