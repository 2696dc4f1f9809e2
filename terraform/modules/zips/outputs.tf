output "directory" {
  description = "Folder of the zips."
  value       = var.directory
}

output "hashes" {
  description = "Base64 of each zip's SHA-256 by handler: the `source_code_hash` of its function."
  value       = { for handler, zip in local.zips : handler => zip.hash }
}

output "paths" {
  description = "Path of each zip by handler."
  value       = local.paths
}

output "s3_keys" {
  description = "Keys of the uploaded zips by handler; empty without a bucket."
  value       = { for handler, object in aws_s3_object.zip : handler => object.key }
}
