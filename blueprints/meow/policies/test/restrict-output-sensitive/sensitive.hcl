mock "tfconfig/v2" {
  module {
    source = "mock-tfconfig-sensitive.sentinel"
  }
}

test {
  rules = {
    main = true
  }
}
