variable "region" {
  description = "Where everything is. Choose that of the data: reading from another region is paid by the byte."
  type        = string
  default     = "us-west-2"
}

variable "bucket" {
  description = "Name of the bucket for catalogues and products. Names are taken world-wide, so that there is no default."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and hyphens, and no dot (TLS would not take it)."
  }
}

variable "prefixes" {
  description = "Where in the bucket inputs are read and products written. Pods reach nothing else in it."
  type        = object({ catalogue = string, products = string })
  default     = { catalogue = "catalogue", products = "products" }
  validation {
    condition     = alltrue([for p in values(var.prefixes) : can(regex("^[A-Za-z0-9][A-Za-z0-9/_-]*[A-Za-z0-9]$", p))])
    error_message = "A prefix is a folder's name without a slash at either end and without wildcards."
  }
}

variable "readable_buckets" {
  description = "Other buckets that pods may read, as the archive of Landsat."
  type        = set(string)
  default     = []
}

variable "viewers" {
  description = "ARNs of users or roles who may take the role that reads products."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.viewers : startswith(arn, "arn:") && !strcontains(arn, "*")])
    error_message = "A viewer is one user or role; a wildcard would open the products to a whole account."
  }
}

variable "viewer_origins" {
  description = "Web pages (https://host) whose scripts may read presigned objects."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for o in var.viewer_origins : startswith(o, "https://") && !strcontains(o, "*")])
    error_message = "An origin is https://host, without a wildcard."
  }
}

variable "administrators" {
  description = "Networks from which kubectl may reach the cluster."
  type        = list(string)
  validation {
    condition     = length(var.administrators) > 0 && alltrue([for n in var.administrators : can(cidrhost(n, 0)) && tonumber(split("/", n)[1]) >= 8])
    error_message = "Give networks such as 198.51.100.0/24, none wider than /8."
  }
}

variable "zones" {
  description = "Zones with nodes. Each has a subnet of 1,024 addresses for nodes and pods."
  type        = list(string)
  default     = ["us-west-2a", "us-west-2b"]
  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 3
    error_message = "EKS needs two zones; more than three would be more addresses than one certificate can name for Ray (4,096)."
  }
}

variable "kubernetes_version" {
  type    = string
  default = "1.33"
}

variable "pools" {
  description = "Node pools by the value of their label nunatak.node. All but on-demand have a taint of the same name."
  type = map(object({
    capacity = string
    types    = list(string)
    most     = number
    disk_gib = number
    ami      = optional(string, "AL2023_x86_64_STANDARD")
  }))
  default = {
    on-demand = { capacity = "ON_DEMAND", types = ["m7i.xlarge", "m6i.xlarge"], most = 4, disk_gib = 50 }
    spot      = { capacity = "SPOT", types = ["m7i.4xlarge", "m6i.4xlarge", "m7a.4xlarge", "r7i.4xlarge"], most = 32, disk_gib = 200 }
    gpu       = { capacity = "SPOT", types = ["g6.2xlarge", "g5.2xlarge"], most = 8, disk_gib = 200, ami = "AL2023_x86_64_NVIDIA" }
  }
  validation {
    condition     = contains(keys(var.pools), "on-demand") && alltrue([for p in var.pools : contains(["ON_DEMAND", "SPOT"], p.capacity)])
    error_message = "There must be a pool on-demand, and a pool's capacity is ON_DEMAND or SPOT."
  }
}

variable "other_issuer" {
  description = "Host and path of the OIDC issuer of a cluster elsewhere (GKE) whose pods may take the same roles; empty for none."
  type        = string
  default     = ""
}

variable "image_tag" {
  type    = string
  default = "0.1.0"
}
